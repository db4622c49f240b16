namespace McpAuthServer.Authorizations;

/// <summary>A device without a browser of its own: it polls for the answer (RFC 8628).</summary>
/// <param name="hash">Of the device code.</param>
/// <param name="userCode">As people read it on the device.</param>
internal sealed class DeviceRecipient(string hash, string userCode, DateTimeOffset expires) : PolledRecipient(PolledTable.Devices, hash, expires)
{
    public string UserCode => userCode;

    /// <summary>All devices are alike: nothing tells one from another the next time.</summary>
    public override string Registered => "device";

    public override string Shown => "a device";

    /// <summary>Anybody can show a person a code and say it is theirs (RFC 8628 §5.4).</summary>
    public override bool Proven => false;

    public override string Exact => $"device {userCode}";
}
