// What a user has said.
import type { AttachmentOut } from "../api";
import { element } from "../dom";
import { t } from "../words";

/** A message, or one that is about to be sent. */
export interface Question {
  content: string;
  images: string[];
  attachments?: AttachmentOut[];
}

export class QuestionView {
  readonly root = element("article", "turn user");

  constructor(readonly question: Question) {
    const text = element("div", "said", question.content);
    text.dir = "auto";
    this.root.setAttribute("aria-label", t.you);
    this.root.append(element("h2", "unseen", t.you), text);
    if (question.attachments?.length) {
      const files = question.attachments.map(({ name }) => element("li", "", name));
      this.root.append(element("ul", "attached", ...files));
    }
    this.root.append(...question.images.map((url) => imageView(url, t.imageYouSent)));
  }
}

export function imageView(url: string, alt: string): HTMLImageElement {
  const image = element("img");
  image.src = url;
  image.alt = alt;
  return image;
}
