import { imageRecipes } from './subjects/images.ts'
import { detectionRecipe, orientationRecipe, recognitionRecipe } from './subjects/ocr.ts'
import { resNetRecipe } from './subjects/residual.ts'
import type { Recipe } from './subjects/subject.ts'
import { transformerRecipes } from './subjects/transformer.ts'
import { wakeWordRecipes } from './subjects/wake-words.ts'

/** All subjects, in the order of the table. */
export const recipes: readonly Recipe[] = [
  recognitionRecipe,
  detectionRecipe,
  orientationRecipe,
  ...wakeWordRecipes,
  ...imageRecipes,
  ...transformerRecipes,
  resNetRecipe,
]
