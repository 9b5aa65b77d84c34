/** Where programs find this service: a proxy may give it any path. */
export const serviceUrl = () => new URL('.', document.baseURI).href.replace(/\/$/, '');
