"""One model quantized by one of ONNX Runtime's own tools. An order comes as JSON on standard input, the answer goes to standard output.

Order: {tool, model_path, output_path, data_path, rows, threads}. Answer: {ok, tool_s, import_s, peak_rss_bytes, notes} or {ok: false, error}.
Loading the interpreter and the tools is timed apart (import_s), so that both figures can be told.
"""
import json
import os
import sys
import time

started = time.perf_counter()
import logging
import warnings

import numpy
import onnx
import onnx.version_converter
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process

import_s = time.perf_counter() - started
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
NUMPY_TYPES = {"tensor(float)": numpy.float32, "tensor(int64)": numpy.int64}


class Rows(CalibrationDataReader):
    """The first rows of an .npz, one at a time; an array without the batch dimension of its input is a scalar's column."""

    def __init__(self, model_path, data_path, count):
        data = numpy.load(data_path)
        session = onnxruntime.InferenceSession(model_path, providers=["CPUExecutionProvider"])
        inputs = session.get_inputs()
        total = min(count, min(len(data[value.name]) for value in inputs))
        columns = {value.name: (data[value.name], value) for value in inputs}
        self.rows = iter(
            [{name: fitting(array[at : at + 1], value) for name, (array, value) in columns.items()} for at in range(total)]
        )

    def get_next(self):
        return next(self.rows, None)


def peak_rss_bytes():
    """The kernel's high-water mark of this program; getrusage begins at what the parent process held."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def fitting(row, value):
    typed = row.astype(NUMPY_TYPES[value.type])
    if len(value.shape) == typed.ndim:
        return typed
    return typed.reshape(typed.shape[1:])


def upgraded(order, notes):
    """Scales per channel came with opset 13; onnx has the converter for older files."""
    path = order["output_path"] + ".upgraded.onnx"
    try:
        model = onnx.load(order["model_path"])
        opsets = {entry.domain: entry.version for entry in model.opset_import}
        if opsets.get("", 13) >= 13:
            return order["model_path"]
        onnx.save(onnx.version_converter.convert_version(model, 13), path)
        return path
    except Exception as error:  # noqa: BLE001 foreign tool, any failure is an answer
        notes.append(f"opset 13: {str(error).strip()[:100]}")
        return order["model_path"]


def prepared(order, notes):
    """ONNX Runtime asks for this step before quantization; its symbolic shapes do not know every operator."""
    source = upgraded(order, notes)
    path = order["output_path"] + ".prepared.onnx"
    for skip in (False, True):
        try:
            quant_pre_process(source, path, skip_symbolic_shape=skip, auto_merge=True)
            return path
        except Exception as error:  # noqa: BLE001 foreign tool, any failure is an answer
            notes.append(f"quant_pre_process({'without' if skip else 'with'} symbolic shapes): {str(error).strip()[:100]}")
    return source


def static(order, notes, **options):
    path = prepared(order, notes)
    rows = Rows(path, order["data_path"], order["rows"])
    quantize_static(path, order["output_path"], rows, quant_format=QuantFormat.QDQ, per_channel=True, **options)


def dynamic(order, notes):
    try:
        quantize_dynamic(order["model_path"], order["output_path"])
    except Exception as error:  # noqa: BLE001 e.g. weights in Constant nodes, which its own preparation folds
        notes.append(f"as it is: {str(error).strip()[:100]}")
        quantize_dynamic(prepared(order, notes), order["output_path"])


def nbits(order, notes, block_size):
    quantizer = MatMulNBitsQuantizer(onnx.load(prepared(order, notes)), bits=4, block_size=block_size, is_symmetric=False, accuracy_level=4)
    quantizer.process()
    quantizer.model.save_model_to_file(order["output_path"], False)


def unsigned(order, notes, method):
    static(order, notes, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True, calibrate_method=method)


TOOLS = {
    "dynamic": dynamic,
    "dynamic per channel": lambda order, notes: quantize_dynamic(prepared(order, notes), order["output_path"], per_channel=True),
    "dynamic per channel 7 bit": lambda order, notes: quantize_dynamic(
        prepared(order, notes), order["output_path"], per_channel=True, reduce_range=True
    ),
    "static minmax": static,
    "static minmax u8 7 bit": lambda order, notes: unsigned(order, notes, CalibrationMethod.MinMax),
    "static percentile u8 7 bit": lambda order, notes: unsigned(order, notes, CalibrationMethod.Percentile),
    "4 bit, blocks of 128": lambda order, notes: nbits(order, notes, 128),
    "4 bit, blocks of 32": lambda order, notes: nbits(order, notes, 32),
}


def main():
    order = json.load(sys.stdin)
    answers = os.dup(1)
    os.dup2(2, 1)  # the tools print
    notes = []
    begun = time.perf_counter()
    try:
        TOOLS[order["tool"]](order, notes)
        answer = {"ok": True}
    except Exception as error:  # noqa: BLE001 foreign tool, any failure is an answer
        answer = {"ok": False, "error": f"{type(error).__name__}: {str(error).strip()[:300]}"}
    for kind in ("upgraded", "prepared"):
        path = f"{order['output_path']}.{kind}.onnx"
        if os.path.exists(path):
            os.remove(path)
    answer |= {
        "tool_s": time.perf_counter() - begun,
        "import_s": import_s,
        "peak_rss_bytes": peak_rss_bytes(),
        "notes": notes,
    }
    with os.fdopen(answers, "w") as out:
        json.dump(answer, out)


main()
