export { nearestName as nearest } from '../domain/nearest-name.ts';
