export interface AlertCatalogue<AlertType extends string> {
  readonly ALERT_TYPES: readonly AlertType[];
  readonly alertText: (type: AlertType) => string;
  readonly alertSeverity: (type: AlertType) => string;
}
export declare const renderAlerts: <AlertType extends string>(catalogue: AlertCatalogue<AlertType>) => string;
