using McpAuthServer.Storage;

namespace McpAuthServer.Authorizations;

/// <summary>A device without a browser of its own: it polls for the answer (RFC 8628).</summary>
/// <param name="hash">Of the device code.</param>
/// <param name="userCode">As people read it on the device.</param>
internal sealed class DeviceRecipient(string hash, string userCode, DateTimeOffset expires) : Recipient
{
    private static readonly Sql Approve = new("update device_requests set state = 'approved' where hash = @hash and state = 'pending' and expires_at > @now");

    public string Hash => hash;

    public string UserCode => userCode;

    public DateTimeOffset Expires => expires;

    /// <summary>All devices are alike: nothing tells one from another the next time.</summary>
    public override string Registered => "device";

    public override string Shown => "a device";

    /// <summary>Anybody can show a person a code and say it is theirs (RFC 8628 §5.4).</summary>
    public override bool Proven => false;

    public override string Exact => $"device {userCode}";

    /// <summary>False when it was answered before, or waits no longer.</summary>
    public bool Answer(WriteTx tx, long now) => tx.Run(Approve.With(hash, now)) == 1;
}
