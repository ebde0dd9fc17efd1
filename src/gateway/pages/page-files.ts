/**
 * The files that the gateway serves beside the API: its description, and the
 * pages that scripts/build-web.mjs puts into dist/web/. Nothing else on disk has
 * a path.
 */

export interface PageFile {
  /** Path of the request, as it stands in the address. */
  path: string;
  /** The file, from the root of the package. */
  file: string;
  contentType: string;
  /** What the page may load and do; nothing at all when undefined. */
  contentSecurityPolicy?: string;
}

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';

/**
 * What a page is made of comes from the gateway, and it talks to nobody else. No
 * inline script or style runs, so what a page shows cannot become a part of it.
 */
const OWN_FILES_ONLY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** The test page makes no markup out of text at all, and the browser holds it to that. */
const NO_MARKUP = `${OWN_FILES_ONLY}; require-trusted-types-for 'script'; trusted-types 'none'`;

/** The description of the API, and the page that shows it. */
export const DOCUMENTATION: readonly PageFile[] = [
  { path: '/openapi.yaml', file: 'gen/openapi.yaml', contentType: 'application/yaml' },
  page('/docs', 'dist/web/docs/index.html'),
  { path: '/docs/main.js', file: 'dist/web/docs/main.js', contentType: SCRIPT },
  { path: '/docs/main.css', file: 'dist/web/docs/main.css', contentType: STYLE },
  {
    path: '/docs/swagger-ui-bundle.js',
    file: 'dist/web/docs/swagger-ui-bundle.js',
    contentType: SCRIPT,
  },
  { path: '/docs/swagger-ui.css', file: 'dist/web/docs/swagger-ui.css', contentType: STYLE },
  { path: '/docs/icon.png', file: 'dist/web/docs/icon.png', contentType: 'image/png' },
];

/** The page that tries out everything the API does. */
export const TEST_PAGE: readonly PageFile[] = [
  page('/test', 'dist/web/test-page/index.html', NO_MARKUP),
  { path: '/test/main.js', file: 'dist/web/test-page/main.js', contentType: SCRIPT },
  { path: '/test/main.css', file: 'dist/web/test-page/main.css', contentType: STYLE },
  { path: '/test/icon.svg', file: 'dist/web/test-page/icon.svg', contentType: 'image/svg+xml' },
];

function page(path: string, file: string, contentSecurityPolicy = OWN_FILES_ONLY): PageFile {
  return { path, file, contentType: HTML, contentSecurityPolicy };
}
