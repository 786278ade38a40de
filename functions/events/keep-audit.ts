import { app } from '#app'
import type { Subscriber } from '../../layers/core/contract/subscribers.ts'
import { keepAudit } from '../../layers/core/usecases/keep-audit.ts'

export const run: Subscriber = (event) => keepAudit(app, event)
