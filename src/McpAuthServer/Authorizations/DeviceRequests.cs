using System.Data.Common;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Authorizations;

/// <summary>A device's request as it stands.</summary>
/// <param name="State"><see cref="Pending"/>, <see cref="Approved"/> or <see cref="Denied"/>.</param>
internal sealed record DeviceRequest(string Hash, string UserCode, string ClientId, string Form, string? Thumbprint, string State, DateTimeOffset Expires)
{
    public const string Pending = "pending", Approved = "approved", Denied = "denied";

    public const string Columns = "hash, user_code, client_id, form, jkt, state, expires_at";

    public static DeviceRequest? Read(DbDataReader r) => new(
        r.GetString(0), r.GetString(1), r.GetString(2), r.GetString(3), r.IsDBNull(4) ? null : r.GetString(4), r.GetString(5), DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(6)));
}

/// <summary>How a device's question went.</summary>
internal enum DevicePoll { Pending, TooSoon, Denied, Expired, Approved, Replayed }

/// <summary>Requests of devices, from their beginning until a person has answered (RFC 8628).</summary>
internal sealed class DeviceRequests(ICommitLog log, IReadStore store, ClientDirectory clients, AuditTrail trail, TimeProvider time)
{
    /// <summary>Of a device code.</summary>
    public const string Prefix = "dc_";

    public static readonly TimeSpan Life = TimeSpan.FromMinutes(10), Interval = TimeSpan.FromSeconds(5);

    private static readonly Sql
        ByHash = new($"select {DeviceRequest.Columns} from device_requests where hash = @hash"),
        ByUserCode = new($"select {DeviceRequest.Columns} from device_requests where user_code = @code and state = 'pending' and expires_at > @now");

    /// <param name="form">What is asked for, encoded.</param>
    /// <param name="thumbprint">Of the key that polls, where it proved one.</param>
    /// <returns>The codes; or the space of what was single-use and was used before.</returns>
    public async Task<(OpaqueToken Device, string UserCode, string? Replayed)> BeginAsync(string client, string form, string? thumbprint, IReadOnlyList<Once> consume, AuditEvent begun)
    {
        while (true)
        {
            var (device, user) = (OpaqueToken.New(Prefix), UserCode.New());
            switch (await log.Commit(new Begin(device.Hash, user, client, form, thumbprint, consume, begun, time.GetUtcNow())))
            {
                case { Taken: true }:
                    continue;
                case var begin:
                    return (device, user, begin.Replayed);
            }
        }
    }

    public Task<DeviceRequest?> FindAsync(string hash, CancellationToken cancel) => store.First(ByHash.With(hash), DeviceRequest.Read, cancel);

    /// <summary>The request that waits under what a person typed.</summary>
    public Task<DeviceRequest?> TypedAsync(string userCode, CancellationToken cancel) =>
        store.First(ByUserCode.With(userCode, time.GetUtcNow().ToUnixTimeMilliseconds()), DeviceRequest.Read, cancel);

    /// <summary>The request, for the page that asks the person.</summary>
    public async Task<ReadRequest> ReadAsync(string hash, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        if (await FindAsync(hash, cancel) is not { State: DeviceRequest.Pending } request || request.Expires <= now)
            return new ReadRequest.Unanswerable("The device waits no longer, or it was answered already. Start again on the device.", Names.Reasons.Expired, null);
        if (await clients.FindAsync(request.ClientId, registry, cancel) is not { Active: true } client)
            return new ReadRequest.Unanswerable("The program on the device is no longer registered.", "unknown_client", request.ClientId);
        if (!AuthorizationRequests.Parse(request.Form).TryGet(out var form, out var fault) || !AuthorizationRequests.WhatFor(form, client, registry, now).TryGet(out var asked, out fault))
            return new ReadRequest.Unanswerable("What the program on the device asks for is no longer to be had.", fault.Code, client.Id);
        return new ReadRequest.Valid(new AuthorizationRequest(client, new DeviceRecipient(hash, request.UserCode, request.Expires), asked, new HashSet<string>(), null) { Thumbprint = request.Thumbprint });
    }

    /// <summary>A person said no. False when that answer, or another one, came before.</summary>
    public Task<bool> DenyAsync(DeviceRecipient device, AuditEvent denied, Once decision) => log.Commit(new Deny(device.Hash, denied, decision));

    /// <summary>
    /// A device asks (RFC 8628 §3.5). Whoever asks before the interval is over must wait longer from then on. What is single-use is consumed unless the
    /// answer is <see cref="DevicePoll.Approved"/>: then whatever is issued consumes it.
    /// </summary>
    public Task<DevicePoll> PollAsync(string hash, string client, IReadOnlyList<Once> consume) =>
        log.Commit(new Poll(hash, consume, trail.Refusal(AuditTypes.ReplayDetected, Names.Reasons.Replay) with { Client = client }, time.GetUtcNow().ToUnixTimeMilliseconds()));

    private sealed class Begin(
        string hash, string userCode, string client, string form, string? thumbprint, IReadOnlyList<Once> consume, AuditEvent begun, DateTimeOffset now) : Unit<(bool Taken, string? Replayed)>
    {
        private static readonly Sql
            Insert = new(
                """
                insert into device_requests (hash, user_code, client_id, form, jkt, state, pause_ms, expires_at)
                values (@hash, @code, @client, @form, @jkt, 'pending', @pause, @expires) on conflict do nothing
                """),
            Delete = new("delete from device_requests where hash = @hash");

        public override StateLock Lock => StateLock.None;

        public override (bool Taken, string? Replayed) Apply(WriteTx tx)
        {
            if (tx.Run(Insert.With(hash, userCode, client, form, thumbprint, (long)Interval.TotalMilliseconds, (now + Life).ToUnixTimeMilliseconds())) == 0)
                return (true, null);
            foreach (var once in consume)
                if (!once.Consume(tx))
                {
                    tx.Run(Delete.With(hash));
                    tx.Append(begun with { Type = AuditTypes.ReplayDetected, Outcome = "refused", Reason = Names.Reasons.Replay });
                    return (false, once.Space);
                }
            tx.Append(begun);
            return default;
        }
    }

    private sealed class Deny(string hash, AuditEvent denied, Once decision) : Unit<bool>
    {
        private static readonly Sql Mark = new("update device_requests set state = 'denied' where hash = @hash and state = 'pending'");

        public override StateLock Lock => StateLock.None;

        public override bool Apply(WriteTx tx)
        {
            if (!decision.Consume(tx))
            {
                tx.Append(denied with { Type = AuditTypes.ReplayDetected, Reason = Names.Reasons.Replay });
                return false;
            }
            tx.Append(denied);
            return tx.Run(Mark.With(hash)) == 1;
        }
    }

    private sealed class Poll(string hash, IReadOnlyList<Once> consume, AuditEvent replayed, long now) : Unit<DevicePoll>
    {
        private static readonly Sql
            Select = new("select state, pause_ms, polled_at, expires_at from device_requests where hash = @hash"),
            Mark = new("update device_requests set polled_at = @now, pause_ms = @pause where hash = @hash");

        public override StateLock Lock => StateLock.None;

        public override DevicePoll Apply(WriteTx tx)
        {
            var (state, pause, polled, expires) = tx.First(Select.With(hash), r => (r.GetString(0), r.GetInt64(1), r.IsDBNull(2) ? (long?)null : r.GetInt64(2), r.GetInt64(3)));
            if (state == DeviceRequest.Approved)
                return DevicePoll.Approved;
            foreach (var once in consume)
                if (!once.Consume(tx))
                {
                    tx.Append(replayed);
                    return DevicePoll.Replayed;
                }
            if (state == DeviceRequest.Denied)
                return DevicePoll.Denied;
            if (expires <= now)
                return DevicePoll.Expired;
            // §3.5: slow_down adds five seconds, to this and all later intervals.
            var soon = polled + pause > now;
            tx.Run(Mark.With(now, soon ? pause + (long)Interval.TotalMilliseconds : pause, hash));
            return soon ? DevicePoll.TooSoon : DevicePoll.Pending;
        }
    }
}
