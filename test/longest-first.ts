/** The order of the test files: those that take long first, so that no core idles while the last one runs. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Parts of paths below test/, longest first; files of a part in the order of their last durations, where known. */
const LONGEST = [
  ...['web/application', 'kernels/cases', 'docs/commands', 'e2e/', 'examples', 'web/', 'data/real-logs', 'cli/'],
  ...['kernels/', 'train/', 'server/'],
];

const placeOf = ({ moduleId }: TestSpecification): number => {
  const place = LONGEST.findIndex((part) => moduleId.includes(`/test/${part}`));
  return place < 0 ? LONGEST.length : place;
};

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}
