using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using Microsoft.AspNetCore.Http;

namespace McpGuard.Sdk.Tests;

/// <summary>What it tells of revocations: the feed, and the polls that hang on it.</summary>
internal sealed partial class FakeAuthorizationServer
{
    public void Revoke(string id, string? kind = null, long? before = null) => Event(RevocationEvents.Revoked, id, kind, before);

    /// <summary>The signing key is replaced by a new one, which signs the word on it, as the server does it in an emergency.</summary>
    public string RevokeKey()
    {
        string old = Key.KeyId;
        Key = SigningKey.Create();
        lock (gate) Snapshot.Add(new Denied(RevocationEvents.SigningKey, Id.SigningKey + old, DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds()));
        Revoke(Id.SigningKey + old, RevocationEvents.SigningKey);
        return old;
    }

    /// <summary>Cuts the connections of the polls that hang now; the next ones are answered.</summary>
    public void BreakPolls() => Interlocked.Exchange(ref cut, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    /// <summary>As after its database was put back from a copy: of the record nothing is left, and its places are given again.</summary>
    public void PutBack()
    {
        lock (gate) feed.Clear();
        Notify();
    }

    public void Lift(string id) => Event(RevocationEvents.Lifted, id, null, null);

    /// <summary>Puts something into the feed that a test made itself.</summary>
    public void Deliver(string jti, string set)
    {
        lock (gate) feed.Add((feed.Count + 1, jti, set));
        Notify();
    }

    public string Set(string jti, string type, string id, string? kind, long? before, SigningKey? by = null, string typ = Names.Types.SecurityEvent, string? audience = null) =>
        (by ?? Key).Sign(typ, w =>
        {
            w.WriteString("iss", Issuer);
            w.WriteString("aud", audience ?? Resource);
            w.WriteNumber("iat", DateTimeOffset.UtcNow.ToUnixTimeSeconds());
            w.WriteString("jti", jti);
            w.WriteStartObject("sub_id");
            w.WriteString("format", kind == "user" ? "iss_sub" : kind == "jti" ? "jwt_id" : "opaque");
            if (kind is "user" or "jti") w.WriteString("iss", Issuer);
            w.WriteString(kind == "user" ? "sub" : kind == "jti" ? "jti" : "id", id);
            w.WriteEndObject();
            w.WriteStartObject("events");
            w.WriteStartObject(type);
            if (kind is not null) w.WriteString("kind", kind);
            w.WriteString("reason", "test");
            w.WriteNumber("until", DateTimeOffset.UtcNow.AddMinutes(10).ToUnixTimeMilliseconds());
            if (before is not null) w.WriteNumber("before", before.Value);
            w.WriteEndObject();
            w.WriteEndObject();
        });

    private void Event(string type, string id, string? kind, long? before)
    {
        string jti = Id.New(Id.Set, DateTimeOffset.UtcNow);
        Deliver(jti, Set(jti, type, id, kind, before));
    }

    private void Notify() => Interlocked.Exchange(ref changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    private async Task<IResult> Poll(HttpContext context)
    {
        RevocationsRequest request = (await context.Request.ReadFromJsonAsync(ProtocolJson.Default.RevocationsRequest))!;
        Task next = Volatile.Read(ref changed).Task, broken = Volatile.Read(ref cut).Task;
        if (!Any(request.After)) await Task.WhenAny(next, broken, Task.Delay(Limits.LongPoll));
        if (broken.IsCompleted)
        {
            context.Abort();
            return Results.Empty;
        }
        lock (gate)
        {
            if (request.After > feed.Count) return Results.Json(new ErrorResponse("not_found", "The record does not go so far."), ProtocolJson.Default.ErrorResponse, statusCode: StatusCodes.Status404NotFound);
            var sets = feed.Where(f => f.Seq > request.After).Take(request.MaxEvents).ToList();
            return Results.Json(
                new RevocationsResponse(sets.ToDictionary(s => s.Jti, s => s.Set), sets.ToDictionary(s => s.Jti, s => s.Seq), feed.Count,
                    sets.Count > 0 && sets[^1].Seq < feed.Count, Interlocked.Read(ref manifest), Now),
                ProtocolJson.Default.RevocationsResponse);
        }
    }

    private bool Any(long after)
    {
        lock (gate) return feed.Count > after;
    }
}
