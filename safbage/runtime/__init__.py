"""What all rooms stand on: Keras, weights, files, folders that resume, threads, processes."""
