/** What tests take from Markdown documents: code blocks and links. */

/** A fenced block. */
export interface CodeBlock {
  /** From `<!-- test: NAME -->` on the line before it. */
  name: string | undefined;
  language: string;
  text: string;
}

/** All fenced blocks, in their order. */
export function codeBlocks(markdown: string): CodeBlock[] {
  const fence = /^(?:<!-- test: (?<name>\S+) -->\n)?```(?<language>\w*)\n(?<text>[\s\S]*?)^```$/gm;
  return [...markdown.matchAll(fence)].map(({ groups }) => ({
    name: groups?.name,
    language: groups?.language ?? '',
    text: groups?.text ?? '',
  }));
}

/** Targets of `[text](target)` outside of code. */
export function linkTargets(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** Names by which a link reaches the headings, as hosts of Git repositories make them. */
export function headingAnchors(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
