export declare const formatOpenApi: (text: string) => string;
