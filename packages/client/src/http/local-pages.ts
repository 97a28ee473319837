import type { ClientStatus } from '../status/client-status.ts';
import { indexPage } from './index-page.ts';

/** How a page was reached: `host:port` as the browser has it, to be told to other programs there. */
export interface PageVisit {
  readonly authority: string;
}

export interface PageContent {
  readonly contentType: string;
  readonly body: string;
}

/** Something that ss-local shows on its port. */
export interface Page {
  /**
   * Whether everybody who reaches the port may see it. Any other is for programs on this machine only, and where the port asks for a
   * password, for those of them that give it: it opens nothing to other machines.
   */
  readonly public?: boolean;
  readonly content: (visit: PageVisit) => PageContent;
}

export interface LocalPagesOptions {
  readonly status: () => ClientStatus;
  /** The text of the proxy auto-configuration for whoever reaches the proxy at this `host:port`. */
  readonly pac: (authority: string) => string;
}

/** The pages of a running ss-local, by path. */
export function localPages({ status, pac }: LocalPagesOptions): ReadonlyMap<string, Page> {
  return new Map<string, Page>([
    [
      '/',
      {
        content: ({ authority }) => ({ contentType: 'text/html; charset=utf-8', body: indexPage(status(), authority) }),
      },
    ],
    [
      '/proxy.pac',
      {
        public: true,
        content: ({ authority }) => ({ contentType: 'application/x-ns-proxy-autoconfig', body: pac(authority) }),
      },
    ],
    [
      '/v1/status',
      {
        content: () => ({
          contentType: 'application/json; charset=utf-8',
          body: `${JSON.stringify(status(), undefined, 2)}\n`,
        }),
      },
    ],
  ]);
}
