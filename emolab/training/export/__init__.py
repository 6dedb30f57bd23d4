"""From a trained network to one file that runs elsewhere: ONNX, OpenVINO or TorchScript, checked before it is kept."""
