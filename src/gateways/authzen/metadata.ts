/** `/.well-known/authzen-configuration`: where everything is. Says nothing about what is in it. */
import type { JsonObject } from '../../domain/json.ts';

export const METADATA_PATH = '/.well-known/authzen-configuration';

export const ENDPOINTS = {
  evaluation: '/access/v1/evaluation',
  evaluations: '/access/v1/evaluations',
  'search/subject': '/access/v1/search/subject',
  'search/resource': '/access/v1/search/resource',
  'search/action': '/access/v1/search/action',
} as const;

export type Endpoint = keyof typeof ENDPOINTS;

export const ACCESS_REQUEST_CAPABILITY = 'urn:openid:authzen:capability:access-request';

/** `accessRequest`: path of the endpoint that takes access requests, where there is one. */
export const metadataOf = (publicUrl: string, accessRequest: string | undefined): JsonObject => ({
  policy_decision_point: publicUrl,
  access_evaluation_endpoint: `${publicUrl}${ENDPOINTS.evaluation}`,
  access_evaluations_endpoint: `${publicUrl}${ENDPOINTS.evaluations}`,
  search_subject_endpoint: `${publicUrl}${ENDPOINTS['search/subject']}`,
  search_resource_endpoint: `${publicUrl}${ENDPOINTS['search/resource']}`,
  search_action_endpoint: `${publicUrl}${ENDPOINTS['search/action']}`,
  capabilities: accessRequest === undefined ? [] : [ACCESS_REQUEST_CAPABILITY],
  ...(accessRequest === undefined ? {} : { access_request_endpoint: `${publicUrl}${accessRequest}` }),
});
