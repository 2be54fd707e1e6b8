// Server-sent events, the reading half, from text that comes in pieces. Of our own, for EventSource hides comments (by which a quiet server
// shows that it lives), gives up for good after a refusal, and cannot be told with which id to resume.

export class SseParser {
  constructor() {
    this.rest = '';
  }

  /** The events, comments and retry times that a piece of text completes. */
  feed(text) {
    this.rest += text;
    const blocks = this.rest.split('\n\n');
    this.rest = blocks.pop();
    return blocks.map(parseBlock);
  }
}

function parseBlock(block) {
  const told = { event: '', data: '', id: null, retryMs: null, comment: null };
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const value = line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    switch (line.slice(0, colon)) {
      case '': told.comment = value; break;
      case 'event': told.event = value; break;
      case 'data': told.data += value; break;
      case 'id': told.id = value; break;
      case 'retry': told.retryMs = Number(value); break;
    }
  }
  return told;
}
