/** The templates that this host can start, and the images that they boot from. */
export interface TemplateImages {
  /** Read-only raw image of the root disk. */
  rootfsPath: string;
  kernel: { path: string; initrdPath: string };
  toolsPath: string;
}

export interface TemplateCatalog {
  names(): string[];
  /** The images of a template; undefined when there is none of this name. */
  find(name: string): TemplateImages | undefined;
}
