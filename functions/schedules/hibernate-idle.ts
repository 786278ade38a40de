import { app } from '#app'
import { hibernateIdle } from '../../layers/core/usecases/hibernate-idle.ts'

export const run = () => hibernateIdle(app)
