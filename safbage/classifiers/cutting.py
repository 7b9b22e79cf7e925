"""Where a network is cut in two: below, its layers are frozen or run once; from there on it is trained."""

from safbage.runtime.backend import keras, layers


def _calls(outputs, stop=None) -> dict:
    """Each operation's call that leads to the tensors `outputs`, by its name; not past the tensor `stop`."""
    found, waiting = {}, list(outputs)
    while waiting:
        tensor = waiting.pop()
        history = tensor._keras_history
        if (stop is None or history != stop._keras_history) and history.operation.name not in found:
            call = history.operation._inbound_nodes[history.node_index]
            found[history.operation.name] = call
            waiting += call.input_tensors
    return found


def _call(model, name):
    calls = _calls(model.outputs)
    if name not in calls:
        raise ValueError(f"{model.name} has no layer {name!r}; with weights: {', '.join(_with_weights(model))}")
    return calls[name]


def _with_weights(model):
    return [layer.name for layer in model.layers if layer.weights]


def freeze_below(model: keras.Model, name: str) -> keras.Model:
    """Freeze every layer from which layer `name` is reckoned, and train all others; returns the model.

    ``freeze_below(model, "fc6")`` is the paper's recipe for age and gender, ``"conv5"`` the one for expression (section IV-B).
    A frozen batch normalisation answers as at prediction, also in training.

    Raises:
        ValueError: no such layer; the message lists those with weights.
    """
    below = _calls(_call(model, name).input_tensors)
    model.trainable = True
    for layer in model.layers:
        layer.trainable = layer.name not in below
    return model


def split_at(model: keras.Model, name: str) -> tuple[keras.Model, keras.Model]:
    """Cut `model` before layer `name`: (below: faces to features, above: features to probabilities).

    `model` has one input and one output. Both parts share their layers with it, so that ``above(below(faces))`` is
    ``model(faces)``, and training `above` trains `model`. A dropout directly before the layer goes to `above`, so that
    the features of a face are fixed.

    Raises:
        ValueError: no such layer (the message lists those with weights), or the network does not fall in two there, as
            inside a residual block; the message names the nearest place below it where it does.
    """
    cut = _input_of(model, name)
    if not _is_clean(model, cut):
        order = [layer.name for layer in model.layers]
        places = [other for other in _with_weights(model) if order.index(other) < order.index(name)]
        clean = next((other for other in reversed(places) if _is_clean(model, _input_of(model, other))), "a later layer")
        raise ValueError(f"{model.name} is not cut in two before {name}: another path goes around it; cut at {clean}")
    below = keras.Model(model.inputs[0], cut, name=f"{model.name}_below_{name}")
    return below, keras.Model(cut, model.outputs[0], name=f"{model.name}_from_{name}")


def split_after(model: keras.Model, name: str) -> tuple[keras.Model, keras.Model]:
    """Cut `model` behind layer `name`: (below: faces to that layer's output, above: from there to probabilities).

    As `split_at` otherwise; ValueError, too, for the last layer, behind which there is nothing.
    """
    call = _call(model, name)
    cut = call.output_tensors[0]
    if cut._keras_history == model.outputs[0]._keras_history:
        raise ValueError(f"{name} is {model.name}'s last layer; there is nothing behind it")
    if not _is_clean(model, cut):
        raise ValueError(
            f"{model.name} is not cut in two behind {name}: another path goes around it; choose a block's last layer"
        )
    below = keras.Model(model.inputs[0], cut, name=f"{model.name}_to_{name}")
    return below, keras.Model(cut, model.outputs[0], name=f"{model.name}_behind_{name}")


def _input_of(model, name):
    """The tensor that enters layer `name`, before dropouts; None where there is not exactly one."""
    call = _call(model, name)
    while len(call.input_tensors) == 1:
        tensor = call.input_tensors[0]
        history = tensor._keras_history
        call = history.operation._inbound_nodes[history.node_index]
        if not isinstance(history.operation, layers.Dropout):
            return tensor
    return None


def _is_clean(model, cut):
    return cut is not None and all(call.input_tensors for call in _calls(model.outputs, stop=cut).values())
