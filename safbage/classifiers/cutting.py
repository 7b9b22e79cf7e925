"""Cut a network in two: below, layers are frozen or run once; above, they are trained."""

from safbage.runtime.backend import keras, layers


def freeze_below(model: keras.Model, name: str) -> keras.Model:
    """Freeze every layer that leads to layer `name`, and train all others; returns the model.

    ``freeze_below(model, "fc6")`` is the paper's recipe for age and gender, ``"conv5"`` that for
    expression (section 3.3). A frozen batch normalisation answers as at prediction, also in
    training.

    Raises:
        ValueError: no such layer; the message lists those with weights.
    """
    below = _leading_to(model, keras.tree.flatten(_operation(model, name).input))
    model.trainable = True
    for layer in model.layers:
        layer.trainable = layer.name not in below
    return model


def split_at(model: keras.Model, name: str) -> tuple[keras.Model, keras.Model]:
    """Cut `model` before layer `name`: (below: faces to features, above: features to
    probabilities).

    `model` has one input and one output. Both parts share their layers with it, so
    ``above(below(faces))`` is ``model(faces)``, and training `above` trains `model`. A dropout
    directly before the layer goes to `above`, so that the features of a face are fixed. A part
    cannot be cut again.

    Raises:
        ValueError: no such layer (the message lists those with weights); or the network does not
            fall in two there, as inside a residual block; the message names the nearest place below
            it where it does.
    """
    cut = _input_of(model, name)
    if not _is_clean(model, cut):
        order = [layer.name for layer in model.layers]
        earlier = [
            other for other in _with_weights(model) if order.index(other) < order.index(name)
        ]
        clean = (other for other in reversed(earlier) if _is_clean(model, _input_of(model, other)))
        raise ValueError(
            f"{model.name} is not cut in two before {name}: another path goes around it; "
            f"cut at {next(clean, 'a later layer')}"
        )
    below = keras.Model(model.inputs[0], cut, name=f"{model.name}_below_{name}")
    return below, keras.Model(cut, model.outputs[0], name=f"{model.name}_from_{name}")


def split_after(model: keras.Model, name: str) -> tuple[keras.Model, keras.Model]:
    """Cut `model` behind layer `name`: (below: faces to its output, above: from there to
    probabilities).

    Otherwise as `split_at`; ValueError also for the last layer, behind which there is nothing.
    """
    cut = _operation(model, name).output
    if cut is model.outputs[0]:
        raise ValueError(f"{name} is {model.name}'s last layer; there is nothing behind it")
    if not _is_clean(model, cut):
        raise ValueError(
            f"{model.name} is not cut in two behind {name}: another path goes around it; "
            "choose a block's last layer"
        )
    below = keras.Model(model.inputs[0], cut, name=f"{model.name}_to_{name}")
    return below, keras.Model(cut, model.outputs[0], name=f"{model.name}_behind_{name}")


def _operation(model, name):
    """The layer (or operation between layers) of this name."""
    for operation in model.operations:
        if operation.name == name:
            return operation
    raise ValueError(
        f"{model.name} has no layer {name!r}; with weights: {', '.join(_with_weights(model))}"
    )


def _with_weights(model):
    return [layer.name for layer in model.layers if layer.weights]


def _makers(model) -> dict:
    """By tensor (its id) the operation whose output it is."""
    outputs = {
        id(output): operation
        for operation in model.operations
        for output in keras.tree.flatten(operation.output)
    }
    if id(model.outputs[0]) not in outputs:
        raise ValueError(f"{model.name} is part of another network; cut that one")
    return outputs


def _leading_to(model, tensors, stop=None) -> dict:
    """The operations that lead to some tensors, by name; none that leads to the tensor `stop`."""
    makers, found, waiting = _makers(model), {}, list(tensors)
    while waiting:
        tensor = waiting.pop()
        maker = makers[id(tensor)]
        if tensor is not stop and maker.name not in found:
            found[maker.name] = maker
            waiting += keras.tree.flatten(maker.input)
    return found


def _input_of(model, name):
    """The tensor that enters layer `name`, before dropouts; None where there is not exactly one."""
    tensors, makers = keras.tree.flatten(_operation(model, name).input), _makers(model)
    while len(tensors) == 1:
        maker = makers[id(tensors[0])]
        if not isinstance(maker, layers.Dropout):
            return tensors[0]
        tensors = keras.tree.flatten(maker.input)
    return None


def _is_clean(model, cut):
    """Whether all that leads to the output passes through the tensor `cut`."""
    if cut is None:
        return False
    above = _leading_to(model, model.outputs, stop=cut).values()
    return not any(isinstance(operation, layers.InputLayer) for operation in above)
