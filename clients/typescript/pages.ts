/** Which page of a list to fetch. */
export interface PageOptions {
  /** Items on a page, 1 to 100; 100 when left out. */
  pageSize?: number;
  /** `nextPageToken` of the page before. */
  pageToken?: string;
}

/** Fetches page after page until one has no successor. */
export async function* eachOfPages<T>(
  fetchPage: (pageToken: string) => Promise<{ items: T[]; nextPageToken: string }>,
): AsyncGenerator<T> {
  let pageToken = '';
  do {
    const page = await fetchPage(pageToken);
    yield* page.items;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}
