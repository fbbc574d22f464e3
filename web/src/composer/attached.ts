// The images and files that go with a message. Each that can't go is said.
import { type Attachment, type LLMAPI, LLMError } from "../api";
import { at, element, iconButton } from "../dom";
import { t } from "../words";
import { isPhone } from "./enter_key";
import { imageUrl, isImage } from "./images";

const MAX_IMAGES = 16;
/** How much of a message images may be; the rest is for texts. */
const IMAGES_SHARE = 0.8;

/** What the service takes. suffixes: of the documents that it knows, such as ".pdf"; of others it reads texts. None: it
 * reads no files. */
export interface Taken {
  images: boolean;
  suffixes: string[];
  maxBytes: number;
  /** How large a message may be in all. */
  maxMessage: number;
}

export class Attached {
  images: string[] = [];
  attachments: Attachment[] = [];
  private reading: string[] = [];
  private refusals: string[] = [];
  private taken: Taken = { images: true, suffixes: [], maxBytes: 10_000_000, maxMessage: 10_000_000 };
  private began = 0;
  /** Called when all files are read; isWhole: whether none was refused. */
  onRead: (isWhole: boolean) => void = () => undefined;

  constructor(
    private readonly api: LLMAPI,
    private readonly field: HTMLElement,
    private readonly showProblem: (text: string) => void,
  ) {
    field.addEventListener("paste", (event) => this.paste(event));
    at("attach").addEventListener("click", () => at("file").click());
    at<HTMLInputElement>("file").addEventListener("change", (event) => {
      const input = event.target as HTMLInputElement;
      const files = [...(input.files ?? [])];
      input.value = ""; // the same file can be chosen again
      void this.add(files);
    });
    addEventListener("beforeunload", (event) => {
      if (!this.isEmpty || this.isReading) event.preventDefault(); // the browser keeps no files: it asks
    });
    takeDropped(document.querySelector("main")!, (files) => void this.add(files));
  }

  get isEmpty(): boolean {
    return !this.images.length && !this.attachments.length;
  }

  get isReading(): boolean {
    return this.reading.length > 0;
  }

  /** What the service takes is known. */
  allow(taken: Taken): void {
    this.taken = taken;
    at<HTMLInputElement>("file").accept = taken.suffixes.length ? "" : "image/*";
    at("attach").hidden = !taken.images && !taken.suffixes.length;
  }

  clear(): void {
    this.set([], []);
  }

  set(images: string[], attachments: Attachment[]): void {
    this.began++; // what is still being read is for another message
    this.reading = [];
    this.images = images;
    this.attachments = attachments;
    this.draw();
  }

  private paste(event: ClipboardEvent): void {
    const data = event.clipboardData;
    const files = [...(data?.files ?? [])];
    // Cells of a spreadsheet, or a piece of a text, come as text and as a picture of it.
    const isText = data?.types.includes("text/html") && data.getData("text/plain").trim();
    if (!files.length || isText) return;
    event.preventDefault();
    void this.add(files);
  }

  async add(files: File[]): Promise<void> {
    const { began } = this;
    if (!this.isReading) this.refusals = [];
    this.reading.push(...files.map((file) => file.name));
    for (const file of files) {
      this.draw();
      const refusal = await this.take(file, () => this.began === began);
      if (this.began !== began) return;
      this.reading.splice(this.reading.indexOf(file.name), 1);
      if (refusal) this.refusals.push(refusal);
      this.draw();
    }
    this.showProblem(this.refusals.join("\n"));
    if (!this.isReading) this.onRead(!this.refusals.length);
  }

  /** Take a file; returns why it is refused. */
  private async take(file: File, isWanted: () => boolean): Promise<string> {
    if (isImage(file)) {
      if (!this.taken.images) return t.noImages(file.name);
      if (this.images.length >= MAX_IMAGES) return t.tooManyImages(file.name, MAX_IMAGES);
      const there = this.images.reduce((sum, image) => sum + image.length, 0);
      const room = IMAGES_SHARE * this.taken.maxMessage - there;
      const url = await imageUrl(file, room);
      if (!url) return t.unreadableImage(file.name);
      if (url.length > room) return t.noRoom(file.name);
      if (isWanted()) this.images = [...this.images, url];
      return "";
    }
    const { suffixes, maxBytes } = this.taken;
    if (!suffixes.length) return t.unknownFile(file.name);
    if (!file.size) return t.emptyFile(file.name);
    if (file.size > maxBytes) return t.tooLarge(file.name, Math.floor(maxBytes / 1e6));
    try {
      const { data } = await this.api.readDocument(file.name, file);
      if (!isWanted()) return "";
      this.attachments = [...this.attachments, { name: data.name, text: data.text }];
      return data.was_cut ? t.cutFile(file.name) : "";
    } catch (error) {
      return error instanceof LLMError ? error.detail : t.connectionBroke;
    }
  }

  private draw(): void {
    const images = this.images.map((url, place) => {
      const image = element("img");
      image.src = url;
      image.alt = t.imageNumber(place + 1);
      return this.item(image, image.alt, () => (this.images = without(this.images, place)));
    });
    const files = this.attachments.map(({ name }, place) =>
      this.item(element("bdi", "file", name), name, () => (this.attachments = without(this.attachments, place))),
    );
    const reading = this.reading.map((name) => {
      const made = element("li", "", element("bdi", "file", name));
      made.setAttribute("aria-busy", "true");
      return made;
    });
    at("images").replaceChildren(...images, ...files, ...reading);
  }

  /** drop: takes it away. What is still being read goes on. */
  private item(shown: HTMLElement, name: string, drop: () => void): HTMLElement {
    const dropped = (): void => {
      drop();
      this.draw();
      if (!isPhone()) this.field.focus();
    };
    return element("li", "", shown, iconButton("×", t.remove(name), dropped));
  }
}

function without<T>(list: T[], place: number): T[] {
  return list.filter((_, each) => each !== place);
}

/** Take the files that are dropped: without this the browser would show them in place of the page. */
function takeDropped(area: HTMLElement, take: (files: File[]) => void): void {
  const hasFiles = (event: DragEvent): boolean => Boolean(event.dataTransfer?.types.includes("Files"));
  const mark = (isOver: boolean): void => void area.classList.toggle("drop", isOver);
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? mark(false));
  document.addEventListener("drop", (event) => {
    mark(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    take([...(event.dataTransfer?.files ?? [])]);
  });
}
