"""From files, zips, videos and a camera to samples: find, read, cut out faces, measure, store."""
