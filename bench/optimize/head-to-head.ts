import { join } from 'node:path'
import { judgeCandidate } from '../../layers/core/domain/judge-candidate.ts'
import type { Fidelity } from '../../layers/core/domain/optimization.ts'
import { buildPlanned, type Candidate, triedCandidates, untriedPlans } from './candidates.ts'
import { type Judged, speedUp } from './judge.ts'
import type { Searched } from './ours.ts'
import type { Bench, PeerResult } from './run-subject.ts'
import type { PeerTool, Subject } from './subjects/subject.ts'

/**
 * Whether we have a file that is no larger than a peer's, no less faithful and no slower. "No larger" allows 1 % (names and notes
 * in the file), "no less faithful" 0.1 dB, "no slower" 3 %, the noise of two timings of one file. A search that ended early (its
 * targets were met) is completed with planned candidates for this comparison, which is of compilers; their names say so.
 */
export interface PeerVerdict {
  tool: PeerTool
  /** Whether the peer's own file would pass the gate; others are no use to anybody. */
  usable: boolean
  outcome: 'better or equal' | 'slower' | 'less faithful' | 'larger'
  /** Our nearest file, and in how many times the peer's speed it runs. */
  ours?: { name: string; size_bytes: number; sqnr_db: number | null; ratio: number }
}

const LARGER = 1.01
const LESS_FAITHFUL_DB = 0.1
const SLOWER = 0.97
/** Within this logarithm of the ratio of speeds both are timed against each other, in turns. */
const CLOSE = 0.2

interface Rival {
  tool: PeerTool
  path: string
  size_bytes: number
  judged: Judged
  usable: boolean
}

export const compareWithPeers = async (
  bench: Bench,
  subject: Subject,
  peers: readonly PeerResult[],
  searched: Searched,
): Promise<PeerVerdict[]> => {
  const rivals = peers.flatMap(({ tool, made, judged }): Rival[] =>
    made && judged ? [{ tool, path: made.path, size_bytes: made.size_bytes, judged, usable: isUsable(judged, subject) }] : [],
  )
  const ours = await completed(bench, subject, rivals, searched)
  const verdicts: PeerVerdict[] = []
  for (const rival of rivals) verdicts.push(await against(bench, subject, rival, ours))
  return verdicts
}

/** Builds planned candidates until every usable file of the peers has its match, or the time for it is over. */
const completed = async (bench: Bench, subject: Subject, rivals: readonly Rival[], searched: Searched): Promise<Candidate[]> => {
  const ours = triedCandidates(searched)
  const until = performance.now() + bench.rest_ms
  const folder = join(bench.cache, 'runs', subject.name, 'ours')
  const open = (): boolean =>
    rivals.some((rival) => rival.usable && (matchOf(rival, ours)?.speed ?? 0) < SLOWER * speedUp(rival.judged))
  for (const [place, planned] of untriedPlans(searched).entries()) {
    if (!open() || performance.now() > until) break
    const built = await buildPlanned(bench, subject, planned, folder, place)
    if (built) ours.push(built)
  }
  return ours
}

const fits = ({ candidate }: Candidate, { size_bytes }: Rival): boolean => candidate.size_bytes <= LARGER * size_bytes
const asFaithful = (ours: { fidelity: Fidelity }, peer: { fidelity: Fidelity }): boolean =>
  (ours.fidelity.sqnr_db ?? 0) >= (peer.fidelity.sqnr_db ?? 0) - LESS_FAITHFUL_DB

/** The fastest of ours that is neither larger nor less faithful. */
const matchOf = (rival: Rival, ours: readonly Candidate[]): Candidate | undefined =>
  ours.filter((known) => fits(known, rival) && asFaithful(known, rival.judged)).toSorted((a, b) => b.speed - a.speed)[0]

const against = async (bench: Bench, subject: Subject, rival: Rival, ours: readonly Candidate[]): Promise<PeerVerdict> => {
  const { tool, usable } = rival
  const match = matchOf(rival, ours)
  const speed = speedUp(rival.judged)
  if (match) {
    const ratio = await directly(bench, subject, rival.path, match, match.speed / speed)
    return { tool, usable, outcome: ratio >= SLOWER ? 'better or equal' : 'slower', ...told(match, ratio) }
  }
  const small = ours.filter((known) => fits(known, rival))
  const [nearest] = small.toSorted((a, b) => (b.fidelity.sqnr_db ?? -999) - (a.fidelity.sqnr_db ?? -999))
  const outcome = nearest ? 'less faithful' : 'larger'
  return { tool, usable, outcome, ...(nearest && told(nearest, nearest.speed / speed)) }
}

/** Timed against each other rather than each against the original, where the speeds are near; equal where the interval holds zero. */
const directly = async (
  bench: Bench,
  subject: Subject,
  peer_path: string,
  { path }: Candidate,
  ratio: number,
): Promise<number> => {
  if (path === undefined || Math.abs(Math.log(ratio)) > CLOSE) return ratio
  const judged = await bench.judge.compare(subject, peer_path, path, bench.judge_ms)
  if (typeof judged === 'string') return ratio
  const { low_percent, high_percent } = judged.latency_interval ?? { low_percent: 1, high_percent: 1 }
  return low_percent <= 0 && high_percent >= 0 ? Math.max(1, speedUp(judged)) : speedUp(judged)
}

/** By the gate that our own candidates pass; being slower is no fault here. */
const isUsable = (judged: Judged, { metadata = {} }: Subject): boolean => {
  const asked = { metadata: { ...metadata, allow_slower: true }, target_size_bytes: null, target_latency_ms: null }
  return judgeCandidate(judged, asked).verdict === 'accepted'
}

const told = ({ name, candidate, fidelity }: Candidate, ratio: number): Pick<PeerVerdict, 'ours'> => ({
  ours: { name, size_bytes: candidate.size_bytes, sqnr_db: fidelity.sqnr_db, ratio },
})
