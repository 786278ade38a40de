import type { FitRows } from '../onnx/evaluate/split.ts'

/** Class of every row where all labels are single whole numbers from 0; other labels teach nothing here. */
export const classesOf = ({ labels }: Pick<FitRows, 'labels'>): number[] | undefined => {
  const classes = labels?.flatMap((label) => (typeof label === 'number' && Number.isInteger(label) && label >= 0 ? [label] : []))
  return classes && classes.length > 0 && classes.length === labels?.length ? classes : undefined
}
