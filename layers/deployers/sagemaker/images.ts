import { PlatformError } from '../../core/contract/errors.ts'
import published from './images-2026-11.json' with { type: 'json' }

export type ImageKind = keyof typeof published.images

/** Domain of the registries of a partition. */
const domainOf = (region: string): string => (region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com')

/**
 * The published image of a kind in a region, or the operator's own. Fails with `unavailable_here` naming the regions that have it.
 */
export const imageUri = (
  kind: ImageKind,
  { region, gpu }: { region: string; gpu: boolean },
  own: Partial<Record<ImageKind, string>> = {},
): string => {
  const named = own[kind]
  if (named !== undefined) return named
  const image = published.images[kind]
  const accounts: Record<string, string> =
    image.accounts === 'scikit_learn_accounts' ? published.scikit_learn_accounts : published.deep_learning_accounts
  const account = accounts[region]
  if (account === undefined)
    throw new PlatformError(
      'unavailable_here',
      `AWS publishes no ${image.repository} image in ${region} that this version knows; known: ${Object.keys(accounts).join(', ')}`,
    )
  return `${account}.dkr.ecr.${region}.${domainOf(region)}/${image.repository}:${gpu ? image.gpu : image.cpu}`
}
