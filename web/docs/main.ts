/** Shows the description of the API by Swagger UI, which the page loads before this. */

interface SwaggerUiOptions {
  url: string;
  domNode: Element | null;
  deepLinking: boolean;
  displayRequestDuration: boolean;
  docExpansion: 'list' | 'full' | 'none';
  filter: boolean;
  persistAuthorization: boolean;
  tryItOutEnabled: boolean;
  validatorUrl: null;
}

declare const SwaggerUIBundle: (options: SwaggerUiOptions) => unknown;

SwaggerUIBundle({
  url: '/openapi.yaml',
  domNode: document.querySelector('#documentation'),
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  filter: true,
  // A credential lives as long as the page does.
  persistAuthorization: false,
  tryItOutEnabled: true,
  // No description is sent to anybody's validator.
  validatorUrl: null,
});
