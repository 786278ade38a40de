/** Named secrets. Values never reach a log, a response or a template. Names are `/`-separated segments of `[A-Za-z0-9._-]`. */
export interface Secrets {
  get(name: string): Promise<string | undefined>
  put(name: string, value: string): Promise<void>
  remove(name: string): Promise<void>
}
