export interface EventCatalogue<EventType extends string> {
  readonly EVENT_TYPES: readonly EventType[];
  readonly eventText: (type: EventType) => string;
  readonly isEnding: (type: EventType) => boolean;
}
export declare const renderEvents: <EventType extends string>(catalogue: EventCatalogue<EventType>) => string;
