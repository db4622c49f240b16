using McpAuthServer.Storage;

namespace McpAuthServer.People;

/// <summary>
/// An act that counts only while the person's sign-in does, asked in the commit that does it: a form may be sent slowly, and whoever began it may have signed out since, or
/// been disabled.
/// </summary>
internal sealed class ActOfPerson<T>(SignInSession session, Unit<T> act, DateTimeOffset now) : Unit<(bool SignedIn, T? Result)>
{
    public override StateLock Lock => act.Lock;

    public override (bool SignedIn, T? Result) Apply(WriteTx tx) => session.Lives(tx, now) ? (true, act.Apply(tx)) : default;
}
