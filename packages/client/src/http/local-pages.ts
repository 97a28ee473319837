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
  /** Whether everybody who reaches the port may see it; else it is for this machine, and for those with a password if one is asked for. */
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
    ['/', { content: visit => ({ contentType: 'text/html; charset=utf-8', body: indexPage(status(), visit) }) }],
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
