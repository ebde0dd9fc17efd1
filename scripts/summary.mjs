/**
 * One test's outcome, as test/support/summary-reporter.ts writes it.
 * @typedef {object} Outcome
 * @property {'passed' | 'failed' | 'skipped'} state
 * @property {string} title
 * @property {string} file
 * @property {string} detail why it was skipped or what went wrong
 */

/**
 * The end of `npm test`: what failed, what was skipped and why, and one line of totals, last.
 * @param {Outcome[]} outcomes
 * @param {string} root folder to leave out of the names of files
 * @returns {string[]}
 */
export function formatSummary(outcomes, root) {
  const of = (/** @type {Outcome['state']} */ state) =>
    outcomes.filter((outcome) => outcome.state === state);
  const [passed, failed, skipped] = [of('passed'), of('failed'), of('skipped')];
  return [
    ...section(
      'Failed',
      failed.map(({ title, file, detail }) => {
        const place = file ? ` (${file.replace(`${root}/`, '')})` : '';
        return `  ✖ ${title}${place}\n${detail.replace(/^/gm, '      ')}`;
      }),
    ),
    ...section(
      'Skipped',
      skipped.map(({ title, detail }) => `  - ${title}: ${detail}`),
    ),
    '',
    `${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`,
  ];
}

/** @param {string} title @param {string[]} lines */
function section(title, lines) {
  return lines.length === 0 ? [] : ['', `${title}:`, ...lines];
}
