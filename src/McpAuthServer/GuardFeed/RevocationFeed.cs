using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Delegation;
using McpAuthServer.Keys;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary>Reads the feed: what is denied now, what came after a place, and waits for more.</summary>
internal sealed class RevocationFeed(IReadStore store, SigningKeyRing keys, Issuer issuer, ChangeSignal changes, TimeProvider time)
{
    /// <summary>How soon another process's revocation is seen: well within the bound of one second.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    private static readonly Sql
        HighWaterSql = new("select coalesce(max(seq), 0) from revocations"),
        After = new("select seq, kind, subject, op, reason, before, at, until from revocations where seq > @after order by seq limit @limit"),
        Live = new("select seq, kind, subject, op, reason, before, at, until from revocations where until > @now and seq <= @high order by seq");

    public Task<long> HighWaterAsync(CancellationToken cancel) => store.First(HighWaterSql.With(), r => r.GetInt64(0), cancel);

    /// <summary>The deny table at <paramref name="highWater"/>: the newest word on each subject wins.</summary>
    public async Task<IReadOnlyList<Denied>> SnapshotAsync(long highWater, CancellationToken cancel)
    {
        var denied = new Dictionary<(string, string), Denied>();
        foreach (var row in await store.All(Live.With(time.GetUtcNow().ToUnixTimeMilliseconds(), highWater), Entry.Read, cancel))
            if (row.Op == "deny")
                denied[(row.Kind, row.Subject)] = new Denied(row.Kind, row.Subject, row.Until, row.Before);
            else
                denied.Remove((row.Kind, row.Subject));
        return [.. denied.Values];
    }

    /// <summary>What came after a place, as signed SETs; waits up to <paramref name="wait"/> for something to come.</summary>
    public async Task<RevocationsResponse> PollAsync(long after, int limit, TimeSpan wait, string audience, Func<long> manifest, CancellationToken cancel)
    {
        var deadline = time.GetTimestamp();
        var seenManifest = manifest();
        while (true)
        {
            // Taken before the read, so that a commit in between ends the wait.
            var next = changes.Next;
            var highWater = await HighWaterAsync(cancel);
            var left = wait - time.GetElapsedTime(deadline);
            if (highWater > after || left <= TimeSpan.Zero || manifest() != seenManifest)
            {
                var rows = highWater > after ? await store.All(After.With(after, limit + 1), Entry.Read, cancel) : [];
                // A word on a revoked key is not signed with that key: what came with it is in memory before anything is signed.
                if (rows.Exists(row => row.Kind == SubjectKind.Key))
                    await keys.LookAsync(cancel);
                return Answer(rows, limit, Math.Max(highWater, after), audience, manifest());
            }
            await Task.WhenAny(next, Task.Delay(left < Look ? left : Look, time, cancel));
            cancel.ThrowIfCancellationRequested();
        }
    }

    private RevocationsResponse Answer(List<Entry> rows, int limit, long highWater, string audience, long manifest)
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
    private string Sign(SigningKey key, Entry row, string jti, string audience) => key.Sign(Names.Types.SecurityEvent, json =>
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

    private sealed record Entry(long Seq, string Kind, string Subject, string Op, string Reason, long? Before, long At, long Until)
    {
        public static Entry Read(System.Data.Common.DbDataReader r) => new(
            r.GetInt64(0), r.GetString(1), r.GetString(2), r.GetString(3), r.GetString(4), r.IsDBNull(5) ? null : r.GetInt64(5), r.GetInt64(6), r.GetInt64(7));
    }
}
