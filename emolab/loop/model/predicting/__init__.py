"""What a prediction is made of: the files, the model that answers, and the pictures with boxes."""
