-- What a script has left, as one JSON document, by names that do not differ from run to run. Of
-- quotas it shows what is not as it should be: usages that are not what the rows say, and what is
-- still reserved. Whether a usage that is right is on record already says nothing.
select json_object(
  'volumes', (select json_group_object(display_name, json_object(
      'status', status, 'project', project_id, 'user', user_id, 'key', encryption_key_id,
      'updated_at', updated_at, 'deleted', deleted, 'previous_status', previous_status,
      'migration_status', migration_status)) from volumes),
  'snapshots', (select json_group_object(display_name, json_object(
      'status', status, 'project', project_id, 'user', user_id, 'key', encryption_key_id,
      'updated_at', updated_at, 'deleted', deleted)) from snapshots),
  'transfers', (select json_group_object(place, json(found)) from (select
      coalesce(v.display_name, t.volume_id) || ' ' || row_number() over (
          partition by t.volume_id order by t.created_at) as place,
      json_object(
          'name', t.display_name, 'no_snapshots', t.no_snapshots,
          'source', t.source_project_id, 'destination', t.destination_project_id,
          'accepted', t.accepted, 'deleted', t.deleted, 'created_at', t.created_at,
          'updated_at', t.updated_at, 'deleted_at', t.deleted_at, 'expires_at', t.expires_at,
          'salt', length(t.salt), 'crypt_hash', length(t.crypt_hash)) as found
      from transfers t left join volumes v on v.id = t.volume_id)),
  'quota_usages', (select json_group_object(place, json(found)) from (select
      project_id || ' ' || resource as place,
      json_object('in_use', in_use, 'counted', counted, 'reserved', reserved) as found
      from (select project_id, resource, in_use, reserved,
          case when resource like 'volumes%' then (select count(*) from volumes v
                  where v.project_id = u.project_id and not v.deleted and v.use_quota)
              when resource like 'snapshots%' then (select count(*) from snapshots s
                  where s.project_id = u.project_id and not s.deleted and s.use_quota)
              else (select coalesce(sum(size), 0) from (
                  select size from volumes v
                  where v.project_id = u.project_id and not v.deleted and v.use_quota
                  union all select volume_size from snapshots s
                  where s.project_id = u.project_id and not s.deleted and s.use_quota))
          end as counted
          from quota_usages u where not deleted)
      where in_use != counted or reserved != 0)),
  'reservations', (select json_group_object(place, delta) from (select
      project_id || ' ' || resource as place, sum(delta) as delta
      from reservations where not deleted and delta != 0 group by project_id, resource)))
