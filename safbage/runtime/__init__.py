"""What all rooms stand on: Keras without its notes, weights, files, folders that resume, processes."""
