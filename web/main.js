import { render } from 'preact';
import { html } from './lib/html.js';
import { apiKey } from './lib/preferences.js';
import { route } from './lib/route.js';
import { useStore } from './lib/store.js';
import { ChatPage } from './pages/chat.js';
import { ComparePage } from './pages/compare.js';
import { ExportsPage } from './pages/exports.js';
import { FilesPage } from './pages/files.js';
import { JobPage } from './pages/job.js';
import { JobsPage } from './pages/jobs.js';
import { ModelsPage } from './pages/models.js';
import { NewJobPage } from './pages/new-job.js';
import { NewSweepPage } from './pages/new-sweep.js';
import { SignInPage } from './pages/sign-in.js';
import { SweepPage } from './pages/sweep.js';
import { SweepsPage } from './pages/sweeps.js';
import { WorkersPage } from './pages/workers.js';
import { Shell } from './parts/shell.js';
import { Empty } from './parts/state.js';

function App() {
  const key = useStore(apiKey);
  const { path, query } = useStore(route);
  if (key === null) return html`<${SignInPage} />`;
  const [place = 'jobs', id, part] = path;
  return html`<${Shell} place=${place}>${page({ place, id, part, query })}<//>`;
}

/** @param {{ place: string, id: string | undefined, part: string | undefined, query: URLSearchParams }} where */
function page({ place, id, part, query }) {
  if (place === 'jobs') return id === undefined ? html`<${JobsPage} />` : html`<${JobPage} key=${id} id=${id} part=${part ?? 'curves'} />`;
  if (place === 'new')
    return html`<${NewJobPage} key=${query.toString()} from=${query.get('from')} file=${query.get('file')} model=${query.get('model')} />`;
  if (place === 'compare') return html`<${ComparePage} ids=${query.get('jobs')?.split(',').filter(Boolean) ?? []} />`;
  if (place === 'sweeps' && id === 'new') return html`<${NewSweepPage} key=${query.toString()} from=${query.get('from')} />`;
  if (place === 'sweeps') return id === undefined ? html`<${SweepsPage} />` : html`<${SweepPage} key=${id} id=${id} />`;
  if (place === 'models') return html`<${ModelsPage} />`;
  if (place === 'chat') return html`<${ChatPage} key=${query.get('model')} model=${query.get('model')} />`;
  if (place === 'exports') return html`<${ExportsPage} key=${query.get('model')} model=${query.get('model')} />`;
  if (place === 'files') return html`<${FilesPage} key=${id} id=${id ?? null} />`;
  if (place === 'workers') return html`<${WorkersPage} />`;
  return html`<${Empty} title="There is no such page"><p>Choose one from the menu.</p><//>`;
}

const root = document.getElementById('app');
if (root !== null) {
  root.textContent = '';
  render(html`<${App} />`, root);
}
