using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Authorizations;

/// <summary>Requests of devices (RFC 8628).</summary>
internal sealed class DeviceRequests(ICommitLog log, IReadStore store, PolledRequests polled, TimeProvider time)
{
    /// <summary>Of a device code.</summary>
    public const string Prefix = "dc_";

    private static readonly Sql
        ByHash = new($"select {PolledRequest.Columns}, user_code from device_requests where hash = @hash"),
        ByUserCode = new("select hash from device_requests where user_code = @code and state = 'pending' and expires_at > @now");

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

    /// <summary>The hash of the request that waits under what a person typed.</summary>
    public Task<string?> TypedAsync(string userCode, CancellationToken cancel) =>
        store.First(ByUserCode.With(userCode, time.GetUtcNow().ToUnixTimeMilliseconds()), r => r.GetString(0), cancel);

    /// <summary>The request, for the page that asks the person.</summary>
    public async Task<ReadRequest> ReadAsync(string hash, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        var (request, code) = await store.First(ByHash.With(hash), r => (PolledRequest.Read(r), r.GetString(PolledRequest.Width)), cancel);
        var (client, asked, refused) = await polled.WhatForAsync(request, registry, now, cancel);
        return refused is not null ? refused : new ReadRequest.Valid(
            new AuthorizationRequest(client, new DeviceRecipient(hash, code, request!.Expires), asked, new HashSet<string>(), null) { Thumbprint = request.Thumbprint });
    }

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
            if (tx.Run(Insert.With(
                hash, userCode, client, form, thumbprint, (long)PolledRequests.Interval.TotalMilliseconds, (now + PolledRequests.Life).ToUnixTimeMilliseconds())) == 0)
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
}
