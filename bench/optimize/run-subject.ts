import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Measurement } from '../../layers/core/domain/optimization.ts'
import { compareWithPeers, type PeerVerdict } from './head-to-head.ts'
import { type Judge, type Judged, speedUp } from './judge.ts'
import { type Searched, search } from './ours.ts'
import { type Made, makeByPeer, type Python } from './peers.ts'
import { regression } from './regression.ts'
import type { PeerTool, Subject } from './subjects/subject.ts'

/** A file of a peer, judged; or why there is none. */
export interface PeerResult {
  tool: PeerTool
  made?: Made
  judged?: Judged
  failure?: string
}

export interface SubjectResult {
  subject: Subject
  original: Measurement
  peers: PeerResult[]
  searched: Searched
  /** The published file once more against the original, in a run of its own. */
  again?: Judged
  /** Why what was published should not have been; absent when it holds. */
  regression?: string
  verdicts: PeerVerdict[]
}

export interface Bench {
  cache: string
  judge: Judge
  python: Python | undefined
  /** Milliseconds of timing and fidelity for a file of ours or theirs. */
  judge_ms: number
  /** Milliseconds for what was published, at most: all labelled rows judge it. */
  proof_ms: number
  /** Milliseconds for building what the search left out, where a peer's file has no match yet. */
  rest_ms: number
  budget_s(subject: Subject): number
  tell(line: string): void
  /** Peers' files by model and tool: subjects that share a model share them. */
  made: Map<string, Made | string>
}

/** All that is measured of one model: the peers' files, our search, what it published once more, and both side by side. */
export const runSubject = async (bench: Bench, subject: Subject): Promise<SubjectResult> => {
  const folder = join(bench.cache, 'runs', subject.name)
  mkdirSync(folder, { recursive: true })
  const itself = await bench.judge.compare(subject, subject.model_path, subject.model_path, 1000)
  if (typeof itself === 'string') throw new Error(`${subject.title} does not run: ${itself}`)
  const peers = bench.python ? await runPeers(bench, bench.python, subject) : []
  const searched = await search({
    subject,
    target_latency_ms: subject.target_speed_up && itself.original.p50_ms / subject.target_speed_up,
    folder: join(folder, 'ours'),
    budget_s: bench.budget_s(subject),
    tell: (line) => bench.tell(`  ours: ${line}`),
  })
  const published = searched.result.chosen?.path
  const again = published ? await bench.judge.compare(subject, subject.model_path, published, bench.proof_ms) : undefined
  const fault = published && again !== undefined ? await faultOf(bench, subject, published, again) : undefined
  const verdicts = await compareWithPeers(bench, subject, peers, searched)
  return {
    subject,
    original: itself.original,
    peers,
    searched,
    ...(typeof again === 'object' && { again }),
    ...(fault !== undefined && { regression: fault }),
    verdicts,
  }
}

/**
 * What speaks against a published file. Two processes of one model may differ by some percent (where memory lies), which no
 * interval from one pair of processes tells; so where one says slower, two more pairs are asked, and most of the three decide.
 */
const faultOf = async (bench: Bench, subject: Subject, path: string, again: Judged | string): Promise<string | undefined> => {
  if (typeof again === 'string') return again
  const fault = regression(again, subject)
  if (!fault?.startsWith('slower')) return fault
  let slower = 1
  for (let pair = 0; pair < 2; pair += 1) {
    const judged = await bench.judge.compare(subject, subject.model_path, path, bench.judge_ms)
    if (typeof judged === 'string' || regression(judged, subject) !== undefined) slower += 1
  }
  return slower >= 2 ? fault : undefined
}

const runPeers = async (bench: Bench, python: Python, subject: Subject): Promise<PeerResult[]> => {
  const results: PeerResult[] = []
  for (const tool of subject.peers) {
    const made = await madeBy(bench, python, subject, tool)
    const judged =
      typeof made === 'string' ? made : await bench.judge.compare(subject, subject.model_path, made.path, bench.judge_ms)
    const result: PeerResult = {
      tool,
      ...(typeof made === 'object' && { made }),
      ...(typeof judged === 'string' ? { failure: judged } : { judged }),
    }
    const { size_bytes = 0 } = result.made ?? {}
    const figures =
      typeof judged === 'string'
        ? judged
        : `${(size_bytes / 1e6).toFixed(2)} MB, ${speedUp(judged).toFixed(2)}×, ${judged.fidelity.sqnr_db} dB`
    bench.tell(`  peer ${tool}: ${figures}`)
    results.push(result)
  }
  return results
}

const madeBy = async (bench: Bench, python: Python, subject: Subject, tool: PeerTool): Promise<Made | string> => {
  const key = `${subject.model_path} ${tool}`
  const known = bench.made.get(key)
  if (known !== undefined) return known
  const folder = join(bench.cache, 'runs', subject.name, 'peers')
  mkdirSync(folder, { recursive: true })
  const made = await makeByPeer(python, {
    tool,
    model_path: subject.model_path,
    output_path: join(folder, `${tool.replace(/\W+/g, '-')}.onnx`),
    data_path: subject.calibration_path,
    rows: subject.peer_rows,
  })
  bench.made.set(key, made)
  return made
}
