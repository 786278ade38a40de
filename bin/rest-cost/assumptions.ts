/**
 * What a template does not say. Each figure leans to the dear side; `docs/deploy.md` shows them under the table.
 * "At rest" is: no deployment, no request, no upload; a month has 730 hours.
 */
export const assumptions = {
  /** A scheduled run finds nothing to do: one or two queries. Kept warm by the run before it when that is under 5 minutes ago. */
  warm_run_ms: 60,
  /** Later than that Lambda has to start it: INIT (billed since 2025-08) and run. */
  cold_run_ms: 700,
  warm_within_minutes: 4,
  /** Runs that do something although nothing is deployed: reading the vendors' lists page by page, asking AWS what exists. */
  long_run_ms: { 'refresh-prices': 60_000, 'reconcile-deployments': 2_000 } as Readonly<Record<string, number>>,
  /** Two eventually consistent queries of nothing, half a unit each. */
  read_units_per_run: 1,
  /** START, REPORT and the platform's own line, as JSON. */
  log_bytes_per_run: 1_500,
  /** Lambda polls an SQS queue with five connections that wait 20 s each, also when it is empty. */
  sqs_pollers: 5,
  sqs_wait_s: 20,
  /** Records of a platform nobody uses yet, indexes included. */
  table_bytes: 10_000_000,
  /** Bundles, layers and the program for processing jobs, staged once per content. */
  staged_bytes: 400_000_000,
  /** `PriceAgeHours` is written by one run a day; a custom metric is charged for the hours in which it was. */
  metric_hours_per_month: 730 / 24,
  /** The longer retention of the two stages. */
  log_months_kept: 3,
} as const

export const hoursPerMonth = 730
