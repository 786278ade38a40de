/** What `--help` prints, at most 80 columns wide. */

export const usage = {
  all: `Makes ONNX models smaller and faster, and proves it. Needs no platform, no
Python and no network.

  aideploy optimize <model.onnx> [options]   search for the best candidate
  aideploy inspect  <model.onnx>             what the file holds, what may help
  aideploy compare  <a.onnx> <b.onnx>        b against a: size, speed, outputs

  aideploy <command> --help                  its options
  aideploy --version
`,
  optimize: `aideploy optimize <model.onnx> [options]

Builds candidates, mildest first, measures each against the original in turns
and in processes of their own, and writes the best acceptable one.

What is wanted
  --target-size 10MB       stop at the first acceptable file this small
  --target-latency 5ms     … this fast (p50 of one run, on this machine)
  --method M               auto (default), quantization, pruning, distillation
  --precision P            auto, int8, int4, fp16, int8_qat
  --sparsity 0.5           share that pruning removes
  --set NAME=VALUE         what else a method reads, e.g. per_channel=false or
                           'nodes_to_exclude=["/head/MatMul"]'; may be repeated
  --target T               whose price is stated: this-machine (default),
                           lambda-arm64, lambda-x86_64, with -3008 for the MB
  --budget 60s             building and measuring; 60s for small models

What it is judged by
  --calibrate FILE         rows to fit with (.npz, .npy, .jsonl, idx, .zip)
  --eval FILE              rows to judge by, which may hold labels
  --labels FILE            labels for --eval, when they are in a file of their
                           own (idx, .npy, or text with one per line)
  --metric M               accuracy, exact_match, f1, cer, map, mae, rmse, r2
  --output NAME            the output that the labels are about
  --alphabet FILE          characters by class, one per line, for texts (CTC)
  --blank 0                class of the CTC blank
  --gate 0.99              least top-1 agreement with the original
  --gate-sqnr 20           least signal-to-noise of the outputs, dB
  --gate-loss 0.01         most that the metric may get worse
  --class-output NAME      output that decides between classes, or "none"
  --shape NAME=1x3x48x320  one row of an input, for generated rows
  --allow-slower           publish a smaller file although it is slower

What comes out
  -o, --out FILE           default: <model>.opt.onnx beside the model
  --report FILE.html       a page with the picture and every attempt
  --json                   everything, as JSON on standard output
  -q, --quiet              no progress

Exit codes: 0 written, and the targets met; 1 the command, the model or the
data are not usable; 2 no candidate was acceptable, nothing is written;
3 the best one is written but misses a target; 130 interrupted, nothing is
written.
`,
  inspect: `aideploy inspect <model.onnx> [--target T] [--json]

Inputs, outputs, operators and weights of a model, and the candidates a search
would try, with the sizes to be expected.
`,
  compare: `aideploy compare <original.onnx> <candidate.onnx> [options]

Times both in turns, each in a process of its own, and compares their outputs.

  --calibrate FILE, --eval FILE, --labels FILE, --metric M, --output NAME,
  --alphabet FILE, --blank 0, --gate 0.99, --gate-sqnr 20, --gate-loss 0.01,
  --class-output NAME, --shape NAME=1x3x48x320, --allow-slower
                           as for aideploy optimize
  --budget 8s              for timing and outputs together
  --json                   everything, as JSON on standard output
  -q, --quiet              no progress

Exit codes: 0 acceptable in place of the original; 1 not usable; 2 not
acceptable; 130 interrupted.
`,
}
