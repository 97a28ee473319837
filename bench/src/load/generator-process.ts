/**
 * The process that makes connections and sends datagrams: takes one command at a time from its parent and answers it.
 */
import type { Answer, CommandName, Parameters, Reply } from './commands.ts';
import { bounce } from './datagrams.ts';
import { exchange, openIdle, ping } from './exchanges.ts';
import { download, startLoad, stopLoad, upload } from './transfers.ts';

type Handlers = { readonly [Name in CommandName]: (parameters: Parameters<Name>) => Promise<Answer<Name>> };

const HANDLERS: Handlers = { download, upload, exchange, ping, startLoad, stopLoad, openIdle, bounce };

async function reply<Name extends CommandName>(name: Name, parameters: Parameters<Name>): Promise<Reply> {
  try {
    return { answer: await HANDLERS[name](parameters) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

process.on('message', async ({ name, parameters }: { name: CommandName; parameters: never }) => {
  process.send!(await reply(name, parameters));
});
process.once('disconnect', () => process.exit());
