using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Delegation;
using McpAuthServer.Keys;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary>Reads the feed: what is denied now, what came after a place, and waits for more.</summary>
internal sealed class RevocationFeed(RevocationTail tail, IReadStore store, SigningKeyRing keys, Issuer issuer, ChangeSignal changes, TimeProvider time)
{
    private static readonly Sql
        After = new($"select {Revocation.Columns} from revocations where seq > @after order by seq limit @limit"),
        Live = new($"select {Revocation.Columns} from revocations where until > @now and seq <= @high order by seq");

    public async Task<long> HighWaterAsync(CancellationToken cancel) => (await tail.AsOfNowAsync(cancel)).HighWater;

    /// <summary>The deny table at <paramref name="highWater"/>: the newest word on each subject wins.</summary>
    public async Task<IReadOnlyList<Denied>> SnapshotAsync(long highWater, CancellationToken cancel)
    {
        var denied = new Dictionary<(string, string), Denied>();
        foreach (var row in await store.All(Live.With(time.GetUtcNow().ToUnixTimeMilliseconds(), highWater), Revocation.Read, cancel))
            if (row.Op == "deny")
                denied[(row.Kind, row.Subject)] = new Denied(row.Kind, row.Subject, row.Until, row.Before);
            else
                denied.Remove((row.Kind, row.Subject));
        return [.. denied.Values];
    }

    /// <summary>What came after a place, as signed SETs; waits up to <paramref name="wait"/> for something to come.</summary>
    /// <returns>Null when the record does not go that far: it is an older one, put back, and who waits there would miss what comes next.</returns>
    public async Task<RevocationsResponse?> PollAsync(long after, int limit, TimeSpan wait, string audience, Func<long> manifest, CancellationToken cancel)
    {
        var over = Task.Delay(wait, time, cancel);
        var seenManifest = manifest();
        while (true)
        {
            // Taken before the read, so that a commit in between ends the wait.
            var next = changes.Next;
            var (late, end) = (over.IsCompleted, await tail.AsOfNowAsync(cancel));
            if (end.HighWater < after)
                return null;
            if (end.HighWater > after || late || manifest() != seenManifest)
            {
                var rows = end.After(after, limit + 1) ?? await store.All(After.With(after, limit + 1), Revocation.Read, cancel);
                // A word on a revoked key is not signed with that key: what came with it is in memory before anything is signed.
                if (rows.Any(row => row.Kind == SubjectKind.Key))
                    await keys.LookAsync(cancel);
                return Answer(rows, limit, end.HighWater, audience, manifest());
            }
            await Task.WhenAny(next, over, tail.NextLook());
            cancel.ThrowIfCancellationRequested();
        }
    }

    private RevocationsResponse Answer(IReadOnlyList<Revocation> rows, int limit, long highWater, string audience, long manifest)
    {
        var key = keys.Current.Active;
        var more = rows.Count > limit;
        var sets = new Dictionary<string, string>(rows.Count);
        var seqs = new Dictionary<string, long>(rows.Count);
        foreach (var row in rows.Take(limit))
        {
            var jti = $"{Id.Set}{row.Seq}";
            sets[jti] = Sign(key, row, jti, audience);
            seqs[jti] = row.Seq;
        }
        return new RevocationsResponse(sets, seqs, highWater, more, manifest, time.GetUtcNow().ToUnixTimeMilliseconds());
    }

    // RFC 8417 §2.2: iss, iat, jti, events; the subject stands in sub_id (RFC 9493); neither sub nor exp.
    private string Sign(SigningKey key, Revocation row, string jti, string audience) => key.Sign(Names.Types.SecurityEvent, json =>
    {
        json.WriteString(Names.Claims.Iss, issuer.Value);
        json.WriteString(Names.Claims.Aud, audience);
        json.WriteNumber(Names.Claims.Iat, row.At / 1000);
        json.WriteString(Names.Claims.Jti, jti);
        json.WriteString(Names.Claims.Txn, $"rev_{row.Seq}");
        json.WriteStartObject(Names.Claims.SubId);
        switch (row.Kind)
        {
            case SubjectKind.Token:
                json.WriteString("format", "jwt_id");
                json.WriteString("iss", issuer.Value);
                json.WriteString("jti", row.Subject);
                break;
            case SubjectKind.User:
                json.WriteString("format", "iss_sub");
                json.WriteString("iss", issuer.Value);
                json.WriteString("sub", row.Subject);
                break;
            default:
                json.WriteString("format", "opaque");
                json.WriteString("id", row.Subject);
                break;
        }
        json.WriteEndObject();
        json.WriteStartObject(Names.Claims.Events);
        json.WriteStartObject(row.Op == "deny" ? RevocationEvents.Revoked : RevocationEvents.Lifted);
        json.WriteString("kind", row.Kind);
        json.WriteString("reason", row.Reason);
        json.WriteNumber("until", row.Until);
        if (row.Before is { } before)
            json.WriteNumber("before", before);
        json.WriteEndObject();
        json.WriteEndObject();
    });
}
