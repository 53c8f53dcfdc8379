-- What every script begins with: no volumes, no quotas, and one encrypted type.
delete from reservations;
delete from quota_usages;
delete from quotas;
delete from quota_classes;
delete from transfers;
delete from snapshots;
delete from volumes;
delete from volume_type_projects;
delete from encryption;
delete from volume_types;
insert into volume_types (id, name, is_public, deleted, created_at)
values ('77777777-7777-4777-8777-777777777777', 'luks', 1, 0, '2026-01-01 00:00:00.000000');
insert into encryption (encryption_id, volume_type_id, provider, cipher, key_size, control_location, deleted, created_at)
values ('88888888-8888-4888-8888-888888888888', '77777777-7777-4777-8777-777777777777', 'luks', 'aes-xts-plain64', 256,
        'front-end', 0, '2026-01-01 00:00:00.000000');
