const page = (link, text) => ({ link: `/${link}`, text });

/** Links of the Markdown files that lead out of docs/, and where the site has the same. */
const OUTSIDE = { '../bench/RESULTS.md': './results.md', '../README.md': './index.md' };

export default {
  title: 'Attune',
  description: 'A transformer recommender that trains and serves anywhere JavaScript runs',
  lang: 'en-US',
  cleanUrls: true,
  srcExclude: ['node_modules/**'],
  markdown: {
    config(md) {
      md.core.ruler.push('links-out', ({ tokens }) => {
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          const [path, hash] = (token.attrGet('href') ?? '').split('#');
          if (token.type === 'link_open' && OUTSIDE[path])
            token.attrSet('href', OUTSIDE[path] + (hash ? `#${hash}` : ''));
        }
      });
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      page('getting-started', 'Guide'),
      page('cli', 'Command line'),
      page('api/', 'API'),
      page('results', 'Results'),
    ],
    sidebar: [
      {
        text: 'Start',
        items: [
          page('getting-started', 'Getting started'),
          page('data-formats', 'Data formats'),
          page('data-sources', 'Data sources'),
          page('recipes-and-settings', 'Recipes and settings'),
          page('evaluation', 'Evaluation'),
          page('attacks', 'Attacks'),
          page('learning-over-time', 'Learning over time'),
          page('transfer', 'Transfer'),
          page('serving', 'Serving'),
          page('interop', 'Interop'),
          page('several-machines', 'Batch scoring and several machines'),
          page('federated', 'Federated rounds'),
          page('browser', 'In the browser'),
          page('privacy', 'Private training'),
          page('scale', 'Scale'),
          page('limitations', 'Limitations'),
        ],
      },
      {
        text: 'Models',
        items: [
          page('transitions-and-blending', 'Item transitions and blending'),
          page('reranking', 'The ranker'),
          page('features-and-cold-start', 'Features and cold start'),
          page('ratings', 'Ratings and clicks'),
          page('generation', 'Generation'),
        ],
      },
      {
        text: 'Lists',
        items: [
          page('post-processing', 'Post-processing'),
          page('fairness', 'Fairness and calibration'),
          page('explanations', 'Explanations'),
        ],
      },
      {
        text: 'Internals',
        items: [
          page('architecture', 'Architecture'),
          page('engine', 'The engine'),
          page('engine-models', 'Models of your own'),
          page('adding-an-op', 'Adding an op'),
          page('adding-a-model', 'Adding a model'),
        ],
      },
      {
        text: 'Reference',
        items: [
          page('cli', 'Command line'),
          page('settings', 'Settings'),
          page('errors', 'Errors'),
          page('api/', 'API'),
          page('results', 'Results'),
        ],
      },
    ],
  },
};
