/**
 * What the published PyTorch inference image calls around a TorchScript file: JSON `{"inputs": …}` in, `{"outputs": …}` out. `inputs` is
 * a nested array, or a mapping whose values are given in their order.
 */
export const pytorchHandler = `import json
import os

import torch


def model_fn(model_dir):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = torch.jit.load(os.path.join(model_dir, "model.pt"), map_location=device)
    model.eval()
    return model


def input_fn(body, content_type):
    if content_type.split(";")[0].strip() != "application/json":
        raise ValueError("wanted application/json, got " + content_type)
    value = json.loads(body)
    if not isinstance(value, dict) or "inputs" not in value:
        raise ValueError('wanted {"inputs": nested array, or {name: nested array}}')
    inputs = value["inputs"]
    return list(inputs.values()) if isinstance(inputs, dict) else [inputs]


def predict_fn(inputs, model):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.no_grad():
        return model(*[torch.tensor(one, device=device) for one in inputs])


def plain(value):
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return {"output_%d" % at: plain(one) for at, one in enumerate(value)}
    return value.tolist() if hasattr(value, "tolist") else value


def output_fn(prediction, accept):
    return json.dumps({"outputs": plain(prediction)}), "application/json"
`
