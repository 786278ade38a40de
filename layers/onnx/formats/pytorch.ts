import type { FileWindow } from './file-window.ts'
import { countNames, nameSome, type Recognised } from './recognised.ts'
import { readZipEntry, type ZipEntry } from './zip.ts'

/** `torch.save` before 1.6: a pickle that begins with the number 0x1950a86a20f9469cfc6c. */
const legacyMagic = Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex')
export const isLegacyTorch = (file: FileWindow): boolean => file.upTo(0, 16).subarray(2, 14).equals(legacyMagic)

/** Names a pickle may import and still hold nothing but tensors in a dictionary. */
const tensorsOnly =
  /^(collections\.OrderedDict|torch\._utils\._rebuild_(tensor|tensor_v2|parameter|qtensor|sparse_tensor)|torch\.\w*Storage|torch\.Size|torch\.(serialization\._get_layout|storage\.\w+)|_codecs\.encode)$/

/**
 * Names a pickle would import if it were run, which it never is here: GLOBAL instructions are text, so reading the bytes is enough.
 */
const pickledNames = (pickle: Buffer): string[] => {
  const found = pickle.toString('latin1').matchAll(/c([A-Za-z_][\w.]{0,200})\n([A-Za-z_][\w.]{0,200})\n/g)
  return [...new Set(Array.from(found, ([, module_name, name]) => `${module_name}.${name}`))]
}

/** A zip archive written by PyTorch; undefined when it is none. */
export const describeTorchZip = (file: FileWindow, entries: readonly ZipEntry[]): Recognised | undefined => {
  const pickle = entries.find((entry) => /(^|\/)data\.pkl$/.test(entry.name))
  if (!pickle) return undefined
  const script =
    entries.some((entry) => /(^|\/)constants\.pkl$/.test(entry.name)) && entries.some((entry) => entry.name.includes('code/'))
  const tensors = entries.filter((entry) => /(^|\/)(data|constants|tensors)\/\d+$/.test(entry.name))
  const parameter_bytes = tensors.reduce((sum, entry) => sum + entry.size_bytes, 0)
  const content = `${tensors.length} tensors of ${parameter_bytes} bytes in ${entries.length} files`
  if (script) {
    const code = entries.filter((entry) => entry.name.includes('code/') && entry.name.endsWith('.py')).map((entry) => entry.name)
    return {
      format: 'torchscript',
      framework: 'pytorch',
      details: { parameter_bytes, notes: [content, `Code: ${nameSome(code)}`] },
    }
  }
  const names = pickledNames(readZipEntry(file, pickle) ?? Buffer.alloc(0))
  const foreign = names.filter((name) => !tensorsOnly.test(name))
  const format = names.length > 0 && foreign.length === 0 ? 'pytorch_state_dict' : 'pytorch_pickle'
  const why = foreign.length > 0 ? [`Would import ${nameSome(foreign)} when loaded; it was not loaded`] : []
  return { format, framework: 'pytorch', details: { parameter_bytes, notes: [content, ...why] } }
}

export const describeLegacyTorch = (file: FileWindow): Recognised => {
  const names = pickledNames(file.upTo(0, Math.min(file.size_bytes, 2 ** 20)))
  const storages = Object.keys(countNames(names)).filter((name) => name.endsWith('Storage'))
  return {
    format: 'pytorch_legacy_pickle',
    framework: 'pytorch',
    details: {
      notes: [`Written by torch.save before 1.6${storages.length > 0 ? `; holds ${nameSome(storages)}` : ''}; it was not loaded`],
    },
  }
}
