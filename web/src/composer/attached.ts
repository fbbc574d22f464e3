// The images and files that go with a message.
import type { Attachment } from "../api";
import { at, element, iconButton } from "../dom";
import { t } from "../words";

const MAX_IMAGE_BYTES = 4_000_000;

export class Attached {
  images: string[] = [];
  attachments: Attachment[] = [];
  isReading = false;

  constructor(
    field: HTMLElement,
    private readonly showProblem: (text: string) => void,
  ) {
    field.addEventListener("paste", (event) => void this.add(event.clipboardData?.files ?? []));
    at("attach").addEventListener("click", () => at("file").click());
    at<HTMLInputElement>("file").addEventListener("change", (event) => {
      const input = event.target as HTMLInputElement;
      void this.add([...(input.files ?? [])]).then(() => (input.value = ""));
    });
  }

  get isEmpty(): boolean {
    return !this.images.length && !this.attachments.length;
  }

  clear(): void {
    this.set([], []);
  }

  set(images: string[], attachments: Attachment[]): void {
    this.images = images;
    this.attachments = attachments;
    this.draw();
  }

  async add(files: Iterable<File>): Promise<void> {
    for (const file of files) {
      if (!/^image\/(png|jpeg|webp|gif)$/.test(file.type)) continue;
      if (file.size > MAX_IMAGE_BYTES) {
        this.showProblem(t.tooLarge(file.name, MAX_IMAGE_BYTES / 1e6));
        continue;
      }
      this.set([...this.images, await dataUrl(file)], this.attachments);
    }
  }

  private draw(): void {
    const images = this.images.map((url, place) => {
      const image = element("img");
      image.src = url;
      image.alt = t.imageNumber(place + 1);
      const drop = (): void => this.set(without(this.images, place), this.attachments);
      return element("li", "", image, iconButton("×", t.remove(image.alt), drop));
    });
    const files = this.attachments.map(({ name }, place) => {
      const drop = (): void => this.set(this.images, without(this.attachments, place));
      return element("li", "file", name, iconButton("×", t.remove(name), drop));
    });
    at("images").replaceChildren(...images, ...files);
  }
}

function without<T>(list: T[], place: number): T[] {
  return list.filter((_, each) => each !== place);
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
