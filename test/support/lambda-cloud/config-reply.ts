import type { CloudOptions, FunctionConfig } from './state.ts'

/** A function or a version as the service shows it. */
export const configReply = ({ region, account }: CloudOptions, name: string, config: FunctionConfig) => ({
  FunctionName: name,
  FunctionArn: `arn:aws:lambda:${region}:${account}:function:${name}${config.version === '$LATEST' ? '' : `:${config.version}`}`,
  Version: config.version,
  Description: config.description,
  Role: config.role,
  MemorySize: config.memory_mb,
  Timeout: config.timeout_s,
  EphemeralStorage: { Size: config.ephemeral_mb },
  Layers: config.layers.map((Arn) => ({ Arn })),
  Environment: { Variables: config.environment },
  Architectures: config.architectures,
  Runtime: config.runtime,
  Handler: config.handler,
  RevisionId: config.revision_id,
  State: config.state,
  LastUpdateStatus: config.last_update,
  LoggingConfig: { LogFormat: 'JSON', LogGroup: config.log_group },
})
