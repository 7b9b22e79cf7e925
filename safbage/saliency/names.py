"""Names of ML-Nets, known without Keras."""

SHIPPED = {"mlnet": ("vgg16-conv", "mlnet"), "light": ("alexnet-conv", "mlnet-light")}
"""Names of the weights of each shipped ML-Net: of its trunk, and of what was trained on it."""
